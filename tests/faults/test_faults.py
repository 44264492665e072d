"""The short form of `make fault-check`: on loopback, as anybody."""

import pytest

from tests.faults.database import FAIL_OVER, RESTART
from tests.faults.fault import try_fault
from tests.faults.processes import DISCONNECTS
from tests.faults.scene import running_scene, temporary_folder


@pytest.mark.long
def test_nothing_acknowledged_is_lost_and_all_is_well_again() -> None:
    with temporary_folder() as folder, running_scene(folder) as scene:
        results = [try_fault(fault, scene) for fault in (RESTART, FAIL_OVER, DISCONNECTS)]
        assert not [each for each in results if each.wrong or not each.acknowledged]
        assert scene.service.stop() == 0
