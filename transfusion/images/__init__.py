"""What an image file shows: formats, depths and colours, decoded to square uint8 pixels."""
