# before the update of that call
def train_step(model, loss_function, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss_function(model(inputs), targets).backward()
    optimizer.step()
    return loss_function(model(inputs), targets).item()
