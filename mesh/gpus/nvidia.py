"""What NVIDIA's driver tells of its GPUs: by ``nvidia-smi``, else by files in /proc. Pure parsers.

Sources: nvidia-smi(1), ``--query-gpu`` and ``--format=csv,noheader,nounits``, memory in MiB; NVIDIA
driver README, chapter "Using the /proc File System Interface" (``gpus/*/information``).
"""

import csv

from mesh.gpus.gpu import GPUS_MAX, Gpu, Vendor, plain_name, plausible_bytes

QUERY = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
UNNAMED = "NVIDIA GPU"


def gpus_of_query(output: str) -> tuple[Gpu, ...]:
    """Return the GPUs in what ``QUERY`` printed; a line that is no such line is left out.

    A GPU that shares the machine's memory (GB10, Jetson) says ``[N/A]`` for its own.
    """
    found = []
    for row in csv.reader(output.splitlines()[:GPUS_MAX], skipinitialspace=True):
        if len(row) != 2:  # "No devices were found", or a complaint about the driver
            continue
        memory = row[1].strip()
        is_number = memory.isascii() and memory.isdigit() and len(memory) < 12
        if not is_number and not memory.startswith("["):
            continue
        memory_bytes = plausible_bytes(int(memory) << 20) if is_number else None
        found.append(Gpu(Vendor.NVIDIA, plain_name(row[0], otherwise=UNNAMED), memory_bytes))
    return tuple(found)


def gpu_of_information(text: str) -> Gpu:
    """Return the GPU of one ``information`` file: its name, as the file has no memory."""
    named = (line.partition(":") for line in text.splitlines() if line.startswith("Model"))
    name = next((value for key, _, value in named if key.strip() == "Model"), "")
    return Gpu(Vendor.NVIDIA, plain_name(name, otherwise=UNNAMED))
