from common.suggest import suggest


def test_nearest_is_silent_where_nothing_is_near():
    assert suggest("colour", ["color", "size"]) == "; did you mean color?"
    assert suggest("zzz", ["color", "size"]) == ""


def test_the_words_and_what_counts_as_near_can_be_given():
    assert suggest("gro", iter(["gru", "lstm"]), " Did you mean {!r}?") == " Did you mean 'gru'?"
    assert suggest("stone", ["gru", "lstm"], "{}") == ""
    assert suggest("stone", ["gru", "lstm"], "{}", cutoff=0.3) == "lstm"
