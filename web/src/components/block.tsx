// A part of a page with its heading.
import { Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export function Block({ title, children, side }: { title: string; children: ReactNode; side?: ReactNode }) {
  return (
    <section aria-label={title}>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h4">
          {title}
        </Title>
        {side}
      </Group>
      {children}
    </section>
  );
}
