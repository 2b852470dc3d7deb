# keeps the whole computation in memory
def train_step(model, loss_function, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = loss_function(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss
