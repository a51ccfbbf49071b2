// A table; where there is no room for one, each row is a card.
import { Table } from '@mantine/core';
import type { ReactNode } from 'react';

/** A column: its heading, and what it shows of an item. */
export type Column<T> = [heading: string, show: (item: T) => ReactNode] | false | undefined;

export function Rows<T>({ items, id, columns, label }: { items: T[]; id: (item: T) => string | number; columns: Column<T>[]; label?: string }) {
  const shown = columns.filter((c) => !!c);
  return (
    <Table className="cards" verticalSpacing="sm" aria-label={label}>
      <Table.Thead>
        <Table.Tr>
          {shown.map(([heading]) => (
            <Table.Th key={heading}>{heading}</Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map((item) => (
          <Table.Tr key={id(item)}>
            {shown.map(([heading, show]) => (
              <Table.Td key={heading} data-label={heading} className="wrap">
                {show(item)}
              </Table.Td>
            ))}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
