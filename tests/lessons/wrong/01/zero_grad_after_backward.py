# no parameter had a gradient
def train_step(model, loss_function, optimizer, inputs, targets):
    loss = loss_function(model(inputs), targets)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()
