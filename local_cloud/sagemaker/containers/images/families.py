"""The images that have a counterpart on this machine, and those that are refused with a better hint than the others.

The table of docs/images.md is written from here. What the user maps in [local.images] goes before it.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Images with the same content but for their versions, which are those of this machine."""

    title: str
    repositories: tuple[str, ...]
    """Patterns of the repository's name."""
    linked: tuple[str, ...] = ()
    """Packages that the project's environment has: they are linked, with all they require."""
    lock: str | None = None
    """The lock file beside this file with what is installed, as far as the project's environment lacks it."""
    shown: tuple[str, ...] = ()
    """Packages whose versions the log of a job names."""
    optional: frozenset[str] = frozenset()
    """Packages of the lock without which a job runs where no package index answers; its log says so."""
    has_toolkit: bool = False
    """Whether AWS's image has its training toolkit, which runs the script of `sagemaker_program`."""
    algorithm: str | None = None
    """The built-in algorithm that AWS's image runs without a script."""


_DATA_FRAMES = frozenset({"pandas", "python-dateutil", "six", "tzdata"})

FAMILIES = (
    Family(
        title="PyTorch",
        repositories=("pytorch", "pytorch-training", "pytorch-inference"),
        linked=("torch", "numpy"),
        shown=("torch", "numpy"),
        has_toolkit=True,
    ),
    Family(
        title="scikit-learn",
        repositories=("sagemaker-scikit-learn",),
        lock="scikit-learn",
        shown=("scikit-learn", "numpy", "pandas"),
        optional=_DATA_FRAMES,
        has_toolkit=True,
    ),
    Family(
        title="XGBoost",
        repositories=("sagemaker-xgboost",),
        lock="xgboost",
        shown=("xgboost-cpu", "xgboost", "scikit-learn", "pandas"),
        optional=_DATA_FRAMES,
        has_toolkit=True,
        algorithm="XGBoost",
    ),
    Family(
        title="Hugging Face",
        repositories=("huggingface-pytorch-training", "huggingface-pytorch-inference"),
        linked=("torch", "numpy"),
        lock="hugging-face",
        shown=("transformers", "datasets", "accelerate", "torch"),
        has_toolkit=True,
    ),
    Family(title="Python", repositories=("python", "sagemaker-base-python*")),
    Family(title="Lambda", repositories=("lambda-python",), linked=("boto3",)),
)

# Repositories of SageMaker's built-in algorithms, which AWS publishes as images alone.
BUILT_IN = {
    "blazingtext": "BlazingText",
    "factorization-machines": "Factorization Machines",
    "forecasting-deepar": "DeepAR",
    "image-classification": "Image Classification",
    "ipinsights": "IP Insights",
    "kmeans": "K-Means",
    "knn": "K-Nearest Neighbors",
    "lda": "LDA",
    "linear-learner": "Linear Learner",
    "ntm": "Neural Topic Model",
    "object-detection": "Object Detection",
    "object2vec": "Object2Vec",
    "pca": "PCA",
    "randomcutforest": "Random Cut Forest",
    "semantic-segmentation": "Semantic Segmentation",
    "seq2seq": "Sequence-to-Sequence",
    "xgboost": "XGBoost",
}


def family_of(repository: str) -> Family | None:
    return next((each for each in FAMILIES if any(fnmatchcase(repository, it) for it in each.repositories)), None)
