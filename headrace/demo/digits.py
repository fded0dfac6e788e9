"""scikit-learn's digits as folders of JPEG images: real images, on every machine that has scikit-learn, no download.

1,797 handwritten digits, 8 x 8 pixels in 17 shades (UCI Optical Recognition of Handwritten Digits), drawn at 32 x 32 so
that JPEG's own 8 x 8 blocks do not swallow them.
"""

from pathlib import Path

from PIL import Image

SIZE = 32


def write_digits(folder: Path, *, held_out: int = 30) -> tuple[Path, Path]:
    """Writes ``<folder>/digits/<digit>/<n>.jpg`` and, apart from them, ``<folder>/held-out/<digit>/<n>.jpg``.

    Returns both folders. The last ``held_out`` images are held out: nothing trains on them.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    seen, unseen = folder / "digits", folder / "held-out"
    boundary = len(digits.images) - held_out
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        target = (seen if index < boundary else unseen) / str(label)
        target.mkdir(parents=True, exist_ok=True)
        pixels = (image * (255 / 16)).astype("uint8")
        picture = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        picture.save(target / f"{index:04d}.jpg", quality=95)
    return seen, unseen
