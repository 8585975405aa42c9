"""The programs that run inside the environments. Nothing here knows of Docker, caches or other stages."""
