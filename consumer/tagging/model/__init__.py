"""The model: its folder, labels, network, device and precision."""
