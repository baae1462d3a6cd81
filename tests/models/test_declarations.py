"""What is read from a model's text is what its class says."""

import inspect

import pytest

from tfrecs.models import MODELS, declarations
from tfrecs.options import documented


@pytest.mark.parametrize("model", MODELS)
def test_the_text_says_what_the_signature_says(model):
    parameters = inspect.signature(MODELS[model].__init__).parameters.values()
    assert declarations.defaults(model) == {p.name: p.default for p in parameters if p.default is not p.empty}
    own, base, *others = declarations.docstrings(model)
    assert own == inspect.cleandoc(MODELS[model].__doc__)
    assert base == inspect.cleandoc(MODELS[model].__mro__[1].__doc__)
    texts = documented(own, base, *others)
    assert [name for name in declarations.defaults(model) if texts.get(name, "see ").startswith("see ")] == []


@pytest.mark.parametrize("model", MODELS)
def test_choices_hold_the_default_and_are_accepted(model):
    defaults, choices = declarations.defaults(model), declarations.choices(model)
    assert choices.keys() <= defaults.keys()
    for name, texts in choices.items():
        assert defaults[name] is None or defaults[name] in texts, name
