import pytest

pytest.register_assert_rewrite("tests.models.harness", "tests.models.replicas")
