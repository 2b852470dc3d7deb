import torch

from common.options.config import build
from labs.rnn.memory.config import MemoryConfig
from labs.rnn.memory.member import Member, compared, describe, measured


def built(**options):
    return build(MemoryConfig, ("options", options))


def test_a_run_compares_each_cell_at_each_length():
    plan = compared(built(lengths="30,10", cells="lstm,rnn"))
    assert list(plan) == ["lstm-10", "rnn-10", "lstm-30", "rnn-30"]
    assert plan["rnn-30"].cells == ("rnn",)
    assert plan["rnn-30"].steps == [30]
    assert compared(plan["rnn-30"]) == {"rnn-30": plan["rnn-30"]}


def test_gradients_are_measured_from_every_start_with_clipping_and_without():
    config = built(lengths="10,30", cells="rnn,gru", reach="30")
    plan = measured(config)
    assert sorted(plan) == [
        "gru-30",
        "gru-30-chrono-unclipped",
        "gru-30-default",
        "gru-30-default-unclipped",
        "gru-30-orthogonal",
        "gru-30-orthogonal-unclipped",
        "rnn-30",
        "rnn-30-default-unclipped",
        "rnn-30-orthogonal",
        "rnn-30-orthogonal-unclipped",
    ]
    assert plan["gru-30"] == compared(config)["gru-30"]
    for name, member in plan.items():
        assert name in ("gru-30", "rnn-30") or name.endswith(describe(member).replace(", ", "-"))
        assert (member.clip is None) == ("unclipped" in name)


def test_gradients_need_not_be_measured_and_no_start_is_measured_twice():
    assert measured(built(reach="none")) == {}
    plan = measured(built(reach="10", cells="lstm", orthogonal="true", clip="none"))
    assert len(plan) == 1 + 6
    assert describe(plan["lstm-10"]) == "orthogonal + chrono, unclipped"
    assert plan["lstm-10-default"].clip == 1.0


def test_all_cells_see_the_same_sequences_and_none_of_those_that_test_them():
    splits = []
    for config in compared(built(lengths="10", cells="rnn,gru", batch_size="4")).values():
        parts, card = Member.load(config)
        splits.append((parts, card))
    (one, one_card), (other, other_card) = splits
    assert one_card == other_card
    for name in ("validation", "test"):
        assert torch.equal(one[name][0], other[name][0])
    assert not torch.equal(one["validation"][0][:100], one["test"][0][:100])


def test_the_split_seed_names_what_is_validated_and_tested():
    same = Member.load(built(lengths="10", seed="1"))[1]
    assert same.fingerprint == Member.load(built(lengths="10"))[1].fingerprint
    other = Member.load(built(lengths="10", split_seed="1"))[1]
    assert other.fingerprint != same.fingerprint
