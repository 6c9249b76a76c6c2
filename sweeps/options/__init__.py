"""What the user asks for: options, the presets that they shift, and files of studies."""
