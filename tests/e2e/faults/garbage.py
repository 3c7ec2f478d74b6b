"""Replies to an order that are not what they should be, in the categories of JSON's test suites: what must be taken, what
must not, and what a parser may decide. Each is (name, expected, body); %ID% stands for an order id.

expected: TAKEN (the id is beyond doubt), UNKNOWN (it is not), EITHER (the standard leaves it open; a refusal is never read
into it).
"""
TAKEN, UNKNOWN, EITHER = "TAKEN", "UNKNOWN", "EITHER"
GOOD = '{"status":"Ok","message":"Success","result":[{"requestTime":"21-Nov-2026 11:42:10","brokerOrderId":"%ID%"}]}'


def envelope(extra="", leg='"brokerOrderId":"%ID%"', status='"Ok"', result=None):
    return '{"status":%s,"message":"Success",%s"result":%s}' % (status, extra, result or "[{%s}]" % leg)


def with_value(text):
    """A whole reply that has one more member, nobody's business but the parser's."""
    return envelope(f'"more":{text},')


def cases():
    found = []

    def add(expected, name, body):
        found.append((name, expected, body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")))

    # --- must be taken -------------------------------------------------------------------------------
    add(TAKEN, "as documented", GOOD)
    add(TAKEN, "white space everywhere", ' \r\n\t{ "status" : "Ok" ,\n"message":\t"Success" , "result" : [ { "brokerOrderId" : '
        '"%ID%" } ] } \n')
    add(TAKEN, "other order of members", '{"result":[{"brokerOrderId":"%ID%","requestTime":"x"}],"message":"","status":"Ok"}')
    for value in ("0", "-0", "1E22", "0e+1", "1.5e-7", "-1", "123.456e78", "20000000000", '""', '"\\u0060\\n\\"\\\\\\/\\b\\f\\r\\t"',
                  '"\\uD801\\udc37"', '"\u20ac \U0001d11e"', '"\u007f"', "[]", "{}", "null", "true", "false", "[[], {}]",
                  '{"a":{"b":[1,2,{"c":null}]}}', "[" * 8 + "]" * 8):
        add(TAKEN, f"one more member: {value[:24]!r}", with_value(value))
    # --- must not be taken: not JSON ---------------------------------------------------------------------
    whole = GOOD
    for name, body in (
            ("nothing", ""), ("white space", "  \n"), ("html", "<html><body>502 Bad Gateway</body></html>"),
            ("a word", "Ok"), ("null", "null"), ("a number", "250526000002697"), ("a string", '"%ID%"'), ("true", "true"),
            ("an empty array", "[]"), ("an empty object", "{}"), ("open object", "{"), ("open array", "["),
            ("comma after the last member", whole[:-1] + ",}"), ("two commas", whole.replace(",", ",,", 1)),
            ("no colon", whole.replace(":", " ", 1)), ("two colons", whole.replace(":", "::", 1)),
            ("single quotes", whole.replace('"', "'")), ("no quotes", whole.replace('"', "")),
            ("a comment", whole.replace("{", "{/* it is fine */", 1)), ("a line comment", whole + "\n// fine"),
            ("text behind it", whole + "x"), ("a brace behind it", whole + "}"), ("a bracket behind it", whole + "]"),
            ("twice", whole + whole), ("twice, with a comma", whole + "," + whole), ("an array of two", f"[{whole},{whole}]"),
            ("a brace for a bracket", whole.replace("]", "}", 1)), ("no end", whole[:-1]), ("no end of the id", whole[:-5]),
            ("cut in the id", whole[:whole.index("%ID%") + 4]), ("cut in the middle", whole[:40]),
            ("equals signs", whole.replace(":", "=")), ("semicolons", whole.replace(",", ";")),
            ("a tab in a string", whole.replace("Success", "Suc\tcess")),
            ("a line end in a string", whole.replace("Success", "Suc\ncess")),
            ("a NUL in a string", whole.replace("Success", "Suc\0cess")),
            ("a NUL behind it", whole + "\0"), ("a byte order mark of UTF-16", b"\xff\xfe" + whole.encode("utf-16-le")),
            ("UTF-16", whole.encode("utf-16-be"))):
        add(UNKNOWN, name, body)
    for value in ("NaN", "Infinity", "-Infinity", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1F", "--1", "1 000", "1,000", "1_0",
                  "-", "tru", "True", "nul", "undefined", '"\\x"', '"\\u00G0"', '"\\u12"', '"\\', '"open', "[1,]", "[,1]", "[1 2]",
                  "{,}", '{"a"}', '{"a":}', "{1:2}", '{"a":1 "b":2}', "[1}", '{"a":1]', "1.2.3", "1e2e3", "\u200b1"):
        add(UNKNOWN, f"a member that is not JSON: {value[:24]!r}", with_value(value))
    # --- must not be taken: JSON, and not this reply -------------------------------------------------------
    for name, body in (
            ("no id", envelope(leg='"requestTime":"x"')), ("an empty id", envelope(leg='"brokerOrderId":""')),
            ("id null", envelope(leg='"brokerOrderId":null')), ("id true", envelope(leg='"brokerOrderId":true')),
            ("id an array", envelope(leg='"brokerOrderId":["%ID%"]')), ("id an object", envelope(leg='"brokerOrderId":{"id":"%ID%"}')),
            ("id a fraction", envelope(leg='"brokerOrderId":2505260000.5')), ("id negative", envelope(leg='"brokerOrderId":-250526000002697')),
            ("id too long", envelope(leg='"brokerOrderId":"%s"' % ("1" * 200))), ("id of letters", envelope(leg='"brokerOrderId":"abcdefgh"')),
            ("id too short", envelope(leg='"brokerOrderId":"12"')), ("id with a blank", envelope(leg='"brokerOrderId":"2505 26000002"')),
            ("id with an escape", envelope(leg='"brokerOrderId":"25052600\\u0000"')),
            ("other case of the key", envelope(leg='"BROKERORDERID":"%ID%"')),
            ("no legs", envelope(result="[]")), ("two legs", envelope(result='[{"brokerOrderId":"%ID%"},{"brokerOrderId":"%ID%1"}]')),
            ("legs null", envelope(result="null")), ("legs an object", envelope(result='{"brokerOrderId":"%ID%"}')),
            ("legs a string", envelope(result='"%ID%"')), ("legs of numbers", envelope(result="[1]")), ("legs in legs", envelope(result='[[{"brokerOrderId":"%ID%"}]]')),
            ("no status", '{"message":"Success","result":[{"brokerOrderId":"%ID%"}]}'),
            ("status null", envelope(status="null")), ("status true", envelope(status="true")), ("status a number", envelope(status="200")),
            ("status an array", envelope(status='["Ok"]')), ("status empty", envelope(status='""')), ("status okay", envelope(status='"Okay"')),
            ("status pending", envelope(status='"Pending"')), ("refused and numbered", envelope(status='"Not_ok"')),
            ("refused for no listed reason", '{"status":"Not_ok","message":"EC912 - failed to place the order","result":[]}'),
            ("refused without words", '{"status":"Not_ok"}'),
            ("Ok with an error code", '{"status":"Ok","message":"EC912","result":[{"brokerOrderId":"%ID%"}]}'),
            ("a leg refused and numbered", envelope(leg='"status":"Not_ok","message":"EC903","brokerOrderId":"%ID%"'))):
        add(UNKNOWN, name, body)
    # --- duplicate members: two readers may see two replies ----------------------------------------------------
    for name, body in (
            ("two ids", envelope(leg='"brokerOrderId":"%ID%","brokerOrderId":"%ID%9"')),
            ("two statuses, the last good", '{"status":"Not_ok",' + GOOD[1:]),
            ("two statuses, the first good", GOOD[:-1] + ',"status":"Not_ok"}'),
            ("two lists of legs", GOOD[:-1] + ',"result":[]}'), ("two lists of legs, the last good", '{"result":[],' + GOOD[1:]),
            ("an id escaped and not", envelope(leg='"brokerOrderId":"%ID%","broker\\u004frderId":"%ID%9"'))):
        add(UNKNOWN, f"duplicate: {name}", body)
    # --- sizes -----------------------------------------------------------------------------------------------
    add(UNKNOWN, "a number of 60,000 digits for an id", envelope(leg='"brokerOrderId":' + "1" * 60000))
    add(UNKNOWN, "200,000 digits: longer than a reply may be", envelope(leg='"brokerOrderId":' + "1" * 200000))
    add(UNKNOWN, "30,000 open brackets", with_value("[" * 30000))
    add(UNKNOWN, "30,000 open objects", with_value('{"":' * 10000))
    # --- what a parser may decide -------------------------------------------------------------------------------
    for name, body in (
            ("a byte order mark", "\ufeff" + GOOD), ("a number of 60,000 digits", with_value("9" * 60000)), ("1e9999", with_value("1e9999")),
            ("half a pair of surrogates", with_value('"\\uD800"')), ("pairs the wrong way", with_value('"\\udc00\\ud800"')),
            ("bytes that are not UTF-8", GOOD.encode().replace(b"Success", b"\xff\xfe\xfa")),
            ("an overlong NUL", GOOD.encode().replace(b"Success", b"\xc0\x80")), ("a lone surrogate in UTF-8", GOOD.replace("Success", "\ud800")),
            ("an escape in a key", GOOD.replace('"status"', '"st\\u0061tus"')), ("the same status twice", GOOD[:-1] + ',"status":"Ok"}'),
            ("an id that is a number", envelope(leg='"brokerOrderId":250526000002697')), ("10,000 brackets, closed", with_value("[" * 10000 + "]" * 10000)),
            ("10,000 members", envelope("".join(f'"m{n}":{n},' for n in range(4000)))), ("in an array of one", f"[{GOOD}]")):
        add(EITHER, name, body)
    return found
