# torch's own LSTM
import torch
from torch import nn


def lstm_step(x, h, c, weights):
    cell = nn.LSTMCell(x.shape[1], h.shape[1])
    cell.load_state_dict(weights)
    with torch.no_grad():
        return cell(x, (h, c))
