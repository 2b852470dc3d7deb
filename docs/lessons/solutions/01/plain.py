"""Lesson 1, in the order of the page."""


def train_step(model, loss_function, optimizer, inputs, targets):
    """Make one update, and return the loss before it."""
    optimizer.zero_grad()
    loss = loss_function(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()
