"""What initialisations and arms are called, everywhere."""

_NAMES = {"imagenet": "ImageNet", "photos": "photos", "consolidation": "Consolidation"}


def init_name(init: str) -> str:
    """`ImageNet`, `photos`, `Consolidation`, or the initialisation's own name."""
    return _NAMES.get(init, init)


def arm_name(init: str, freeze: str) -> str:
    """`from scratch`, `fine-tuned from photos`, `frozen from photos`."""
    if init == "random":
        return "from scratch"
    return f"{'frozen' if freeze == 'backbone' else 'fine-tuned'} from {init_name(init)}"
