"""Lesson 1: gradients are forgotten when they are used, not before the next ones."""


def train_step(model, loss_function, optimizer, inputs, targets):
    """Make one update, and return the loss before it."""
    loss = loss_function(model(inputs), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return float(loss.detach())
