from common.reuse import reusable, reuse


def test_results_are_kept_inside_a_block_alone_and_of_each_function_the_latest():
    calls = []

    @reusable(lambda name, spoken: name)
    def load(name, spoken):
        calls.append((name, spoken))
        return [name]

    assert load("a", 1) is not load("a", 2)
    with reuse():
        first = load("a", 3)
        with reuse():  # as where one command runs another
            assert load("a", 4) is first
        assert load("b", 5) == ["b"]
        assert load("a", 6) is not first
    load("a", 7)
    assert [spoken for _, spoken in calls] == [1, 2, 3, 5, 6, 7]
