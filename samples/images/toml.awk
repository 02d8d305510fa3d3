# Turns the TOML that builders and buildpacks here are written in (a key and its value on one line, no inline tables,
# no dotted keys) into lines of JSON, [path, value], for jq to assemble: jq -n 'reduce inputs as $l ({}; setpath(…))'.

function quoted(name) { return "\"" name "\"" }

# The JSON path of a table: each part that is an array of tables gets the number of its last element.
function path_of(table,   parts, n, i, name, path) {
  n = split(table, parts, ".")
  path = ""
  for (i = 1; i <= n; i++) {
    name = (i == 1) ? parts[i] : name "." parts[i]
    path = path (i > 1 ? "," : "") quoted(parts[i])
    if (name in last) path = path "," last[name]
  }
  return path
}

/^[ \t]*(#|$)/ { next }

/^\[\[/ {
  table = $0
  gsub(/[][ \t]/, "", table)
  if (table in last) last[table]++
  else last[table] = 0
  # Tables below belong to the new element: they count from the start again.
  for (name in last) if (index(name, table ".") == 1) delete last[name]
  prefix = path_of(table) ","
  next
}

/^\[/ {
  table = $0
  gsub(/[][ \t]/, "", table)
  prefix = path_of(table) ","
  next
}

{
  at = index($0, "=")
  key = substr($0, 1, at - 1)
  gsub(/[ \t"]/, "", key)
  print "[[" prefix quoted(key) "]," substr($0, at + 1) "]"
}
