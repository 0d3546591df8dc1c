import subprocess
import sys
from pathlib import Path

HEAVY = {"numpy", "pandas", "sklearn", "bentoml", "mlflow", "scipy", "pyarrow", "arro3"}


def test_the_gateway_needs_no_machine_learning() -> None:
    """Its image has none of it, although it reads every model's schema."""
    program = (
        "import sys; from services.gateway import main; from services.gateway.predictions.contracts import of_catalogue; of_catalogue();"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[3])
    assert done.stdout.strip() == "[]"
