"""The same road as the staff see, for who walks it."""

from tests.routes.staff.conftest import carla, flag, house, maria, road

__all__ = ["carla", "flag", "house", "maria", "road"]
