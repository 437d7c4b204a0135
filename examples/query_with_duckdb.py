"""Query the versions of a dataset with SQL: DuckDB views over manifests and shards, nothing imported or copied.

python examples/query_with_duckdb.py mine --database mine.duckdb
"""

from __future__ import annotations

import argparse

import duckdb

import musenet

VIEWS = """
create or replace view files as
    select *, parse_filename(parse_dirpath(filename)) as version
    from read_parquet('{dataset}/[0-9a-f]*/manifest.parquet', filename = true, union_by_name = true);

create or replace view rows as
    select *, parse_filename(parse_dirpath(parse_dirpath(filename))) as version,
        parse_filename(parse_dirpath(filename)) as split
    from read_parquet('{dataset}/[0-9a-f]*/*/*.parquet', filename = true, union_by_name = true);
"""
OUTCOMES = """
select status, reason, count(*) as files from files where version = ? group by all order by files desc
"""
STYLES = """
select style, split, count(distinct piece_id) as pieces, sum(n_tokens)::bigint as tokens
from rows where version = ? and transpose = 0 and stretch = 1 group by all order by style, split
"""
LONGEST = """
select f.collection || '/' || f.path as file, round(f.seconds) as seconds, r.n_tokens as tokens
from rows r join files f on f.sha256 = r.piece_id and f.version = r.version
where r.version = ? and f.status = 'accepted' order by tokens desc limit 5
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Query a dataset with DuckDB.")
    parser.add_argument("dataset", help="NAME or NAME@DIGEST")
    parser.add_argument("--lake", help="folder that everything is written to (default ./lake)")
    parser.add_argument("--database", default=":memory:", help="file to keep the views in (default: none)")
    arguments = parser.parse_args()

    version = musenet.open_dataset(arguments.dataset, lake=arguments.lake)
    with duckdb.connect(arguments.database) as database:
        database.execute(VIEWS.format(dataset=str(version.folder.parent).replace("'", "''")))
        for title, query in (("outcomes", OUTCOMES), ("styles", STYLES), ("longest pieces", LONGEST)):
            print(f"{title} of {version}")
            for row in database.execute(query, [version.digest]).fetchall():
                print("  " + "  ".join("" if cell is None else str(cell) for cell in row))


if __name__ == "__main__":
    main()
