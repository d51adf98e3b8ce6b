"""The HTTP door: OpenAI's API over ``mesh.asking.Asking``, once, for every machine of the mesh."""
