"""One function a kernel call, with the kernel's name and argument order; knows no containers."""
