from pipeline.plain import flatten


def test_every_value_by_its_dotted_key():
    nested = {"a": {"b": {"c": 1}, "d": []}, "e": None, "f": {}}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [], "e": None, "f": {}}
    assert list(flatten(nested, "x.")) == ["x.a.b.c", "x.a.d", "x.e", "x.f"]
