"""The files of containers: copied in and out, packed as archives and layers, and compared with those of the image."""
