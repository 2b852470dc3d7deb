# gradients of earlier calls
def train_step(model, loss_function, optimizer, inputs, targets):
    loss = loss_function(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()
