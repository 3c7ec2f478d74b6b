"""What the right copy is, computed apart from the engine: rationals, one follower at a time.

The end-to-end tests and the demo judge the simulated broker's book by this model. It shares no code and no style with
engine/core on purpose. Quantities and prices are Fractions.
"""
from fractions import Fraction as F

# Market-price protection: exchange grid for equity and futures, then for option premiums.
EQUITY_BANDS = [(F(100), F(2, 100)), (F(500), F(1, 100)), (None, F(5, 1000))]
OPTION_BANDS = [(F(10), F(5, 100)), (F(100), F(3, 100)), (F(500), F(2, 100)), (None, F(1, 100))]


def protected_price(side, last_price, tick, is_option=False):
    """Limit price of an order that left the master as a market order: buys floor to the tick, sells ceil."""
    price, tick = F(last_price), F(tick)
    for below, fraction in OPTION_BANDS if is_option else EQUITY_BANDS:
        if below is None or price < below:
            break
    limit = price * (1 + fraction) if side == "BUY" else price * (1 - fraction)
    steps = limit / tick
    whole = steps.numerator // steps.denominator
    if side == "SELL" and whole * tick != limit:
        whole += 1
    return whole * tick


def floor_lot(qty, lot):
    lots = F(qty) / F(lot)
    return (lots.numerator // lots.denominator) * F(lot)


def entry(follower, instrument, order, last_price, capital=None):
    """(quantity, None) of an opening copy or (0, reason) of a skip, by the pipeline's order of checks.

    follower    a subscription of the snapshot file
    order       {"side", "qty", "type", "price", "product"}
    last_price  of the instrument, None when unknown
    """
    if not follower.get("enabled", True):
        return F(0), "FOLLOWER_DISABLED"
    if follower.get("paused", False):
        return F(0), "COPY_PAUSED"
    sides = follower.get("allowed_sides") or []
    if sides and order["side"] not in sides:
        return F(0), "SIDE_NOT_ALLOWED"
    allowed = follower.get("allowed_instruments") or []
    if allowed and instrument["symbol"] not in allowed:
        return F(0), "SYMBOL_NOT_ALLOWED"
    if instrument["symbol"] in (follower.get("denied_instruments") or []):
        return F(0), "SYMBOL_NOT_ALLOWED"
    products = follower.get("allowed_products") or []
    if products and order["product"] not in products:
        return F(0), "PRODUCT_NOT_ALLOWED"
    types = follower.get("allowed_order_types") or []
    if types and order["type"] not in types:
        return F(0), "ORDER_TYPE_NOT_ALLOWED"
    is_market = order["type"] in ("MARKET", "SLM")
    reference = F(last_price) if is_market and last_price is not None else None
    if not is_market:
        reference = F(order["price"])
    mode = follower.get("mode", "FIXED_RATIO")
    lot = F(instrument.get("lot", 1))
    if mode == "FIXED_RATIO":
        raw = F(order["qty"]) * F(str(follower["ratio"]))
    elif mode == "FIXED_QUANTITY":
        raw = F(str(follower["quantity"]))
    elif mode == "PERCENTAGE":
        if capital is None:
            return F(0), "CAPITAL_UNKNOWN"
        if reference is None:
            return F(0), "PRICE_UNKNOWN"
        raw = F(str(capital)) * F(str(follower["percent"])) / 100 / reference
    else:
        raise ValueError(mode)
    qty = floor_lot(raw, lot)
    if qty == 0:
        return F(0), "SUB_LOT" if lot > 1 else "QTY_ZERO"
    if follower.get("max_quantity"):
        limit = F(str(follower["max_quantity"]))
        if qty > limit:
            qty = floor_lot(limit, lot)
            if qty == 0:
                return F(0), "MAX_QTY"
    if follower.get("max_order_value"):
        if reference is None:
            return F(0), "PRICE_UNKNOWN"
        if qty * reference > F(str(follower["max_order_value"])):
            return F(0), "MAX_ORDER_VALUE"
    if is_market and reference is None:
        return F(0), "PRICE_UNKNOWN"
    return qty, None


def close(copied, master_before, reduction, lot):
    """Quantity that closes the same fraction of what is held as the master closes; a full exit closes everything."""
    copied, master_before, reduction = F(copied), F(master_before), F(reduction)
    if copied == 0:
        return F(0)
    if reduction >= master_before:
        return copied
    return min(copied, floor_lot(copied * reduction / master_before, lot))
