from pipeline.errors import did_you_mean, nearest


def test_the_nearest_name_or_none():
    known = {"laplace_kl": 1, "gaussian_kl": 2, "wasserstein": 3}
    assert nearest("laplase_kl", known) == "laplace_kl"
    assert nearest("focal", known) is None
    assert nearest("laplace_kl", []) is None


def test_a_hint_that_other_text_follows():
    assert did_you_mean("trian", ("train", "tune")) == "did you mean 'train'? "
    assert did_you_mean("deploy", ("train", "tune")) == ""
