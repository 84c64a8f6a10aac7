"""Orders in which images are picked for labelling: answers and labels so far in, next image out.

    pool             answers of a zoo on the images, and the labels given so far
    random_order     a random sample: the only order under which hit rates are unbiased
    coda             where a label is expected to tell most about which model is best (Kay et al.)
    model_selector   where a label is expected to narrow the posterior over models most
    vma              images drawn in proportion to how much the models' losses differ
    picking_orders   the orders by name

All are pure: nothing is read, and only the generator that is handed in is drawn from.
"""

from vlmsel.selection.orders.picking_orders import ORDERS, PickingOrder, find_order
from vlmsel.selection.orders.pool import Labelled, Pool

__all__ = ["ORDERS", "Labelled", "PickingOrder", "Pool", "find_order"]
