FROM one
FROM two
