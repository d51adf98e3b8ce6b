"""How the test models are made, and the models. A test bench, never the product's face."""
