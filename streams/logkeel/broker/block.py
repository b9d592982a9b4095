"""What runs in a `with` block: it starts there, and is closed behind it, or at once if it cannot start."""

from abc import ABC, abstractmethod
from typing import Self


class RunsInBlock(ABC):
    """Brokers and clusters of them."""

    @abstractmethod
    def start(self) -> Self:
        """Begin; returns itself."""

    @abstractmethod
    def close(self) -> None:
        """End; may be called twice, and on what never started."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exception: object) -> None:
        self.close()
