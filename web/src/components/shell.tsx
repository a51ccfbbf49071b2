// Navigation, header and what can be done from any page.
import {
  ActionIcon,
  Anchor,
  AppShell,
  Badge,
  Box,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  Text,
  TextInput,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import { IconHandStop, IconHelp, IconSearch, IconSunMoon, IconUser } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef, type FormEvent, type ReactNode } from 'react';
import * as queries from '../api/queries.ts';
import { t } from '../lib/i18n.ts';
import { changeSession, hasRole, remember, signOut, useSession, viewAs } from '../lib/session.tsx';
import { inboxItems } from '../lib/inbox.ts';
import { whereTo } from '../lib/search.ts';
import { Pill } from './pill.tsx';
import { useKeys } from './keys.tsx';
import { PAGES } from './pages.ts';

const StopDialog = lazy(() => import('./stop.tsx').then((m) => ({ default: m.StopDialog })));
const KeySheet = lazy(() => import('./keysheet.tsx').then((m) => ({ default: m.KeySheet })));

export function Shell({ children }: { children: ReactNode }) {
  const [nav, navToggle] = useDisclosure(false);
  const [keys, keySheet] = useDisclosure(false);
  const [stop, stopDialog] = useDisclosure(false);
  const wide = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false });
  const session = useSession();
  const navigate = useNavigate();
  const search = useRef<HTMLInputElement>(null);
  const main = useRef<HTMLElement>(null);
  const stopButton = useRef<HTMLButtonElement>(null);
  const closeStop = () => {
    stopDialog.close();
    requestAnimationFrame(() => stopButton.current?.focus());
  };
  const path = useRouterState({ select: (s) => s.location.pathname });
  const waiting = inboxItems(useQuery(queries.inbox()).data).length;
  const before = useRef(path);

  // A new page begins at its beginning, also for those who do not see it.
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    navToggle.close();
    main.current?.focus({ preventScroll: true });
  }, [path, navToggle]);

  useKeys({
    '/': () => search.current?.focus(),
    '?': keySheet.open,
    ...Object.fromEntries(PAGES.map((p) => [`g ${p.letter}`, () => void navigate({ to: p.to })])),
  });

  const find = (
    <SearchBox inputRef={search} onGo={(to) => void navigate({ href: to })} key="search" />
  );
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 212, breakpoint: 'md', collapsed: { mobile: !nav } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip" href={`${path}#main`} onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>
        {t('shell.skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="sm" gap="xs" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap" miw={0}>
            <Burger
              opened={nav}
              onClick={navToggle.toggle}
              hiddenFrom="md"
              size="sm"
              aria-label={t('shell.menu')}
              aria-expanded={nav}
            />
            <Anchor renderRoot={(p) => <Link to="/" {...p} />} fw={700} c="inherit" underline="never" className="nowrap">
              Tidegate
            </Anchor>
            <Badge variant="default" visibleFrom="sm" tt="none">
              {session.installation.environment}
            </Badge>
          </Group>
          {wide && find}
          <Group gap={6} wrap="nowrap">
            <Pill />
            {waiting > 0 && (
              <Anchor renderRoot={(p) => <Link to="/" hash="needs-you" {...p} />} size="sm" className="nowrap" visibleFrom="xs">
                {t('shell.inbox', { count: waiting })}
              </Anchor>
            )}
            {hasRole(session, 'operator', 'admin') && (
              <Button
                size="xs"
                h={36}
                color="red"
                variant="outline"
                className="stop"
                ref={stopButton}
                leftSection={<IconHandStop size={16} aria-hidden />}
                onClick={stopDialog.open}
                aria-haspopup="dialog"
              >
                {t('shell.stop')}
              </Button>
            )}
            <ActionIcon variant="subtle" color="gray" size={36} onClick={keySheet.open} aria-label={t('shell.help')} visibleFrom="sm" className="plain">
              <IconHelp size={20} aria-hidden />
            </ActionIcon>
            <ThemeMenu />
            <AccountMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t('shell.nav')}>
        {!wide && <Box mb="sm">{find}</Box>}
        {PAGES.map((page) => {
          const active = page.to === '/' ? path === '/' || path.startsWith('/apps') : belongs(path, page.key, page.to);
          return (
            <NavLink
              key={page.to}
              renderRoot={(p) => <Link to={page.to} {...p} />}
              label={t(`nav.${page.key}`)}
              leftSection={<page.icon size={18} aria-hidden />}
              active={active}
              aria-current={active ? 'page' : undefined}
              variant="light"
              className="nav"
            />
          );
        })}
      </AppShell.Navbar>
      <AppShell.Main id="main" ref={main} tabIndex={-1}>
        {children}
      </AppShell.Main>
      <Suspense>
        {stop && <StopDialog opened={stop} onClose={closeStop} />}
        {keys && <KeySheet opened={keys} onClose={keySheet.close} />}
      </Suspense>
    </AppShell>
  );
}

function belongs(path: string, key: string, to: string): boolean {
  if (key === 'live') return path.startsWith('/live') || path.startsWith('/rollouts');
  if (key === 'why') return path.startsWith('/why') || path.startsWith('/requests');
  return path.startsWith(to);
}

function SearchBox({ inputRef, onGo }: { inputRef: React.RefObject<HTMLInputElement | null>; onGo: (to: string) => void }) {
  const submit = (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const box = inputRef.current;
    if (!box?.value.trim()) return;
    onGo(whereTo(box.value));
    box.value = '';
    box.blur();
  };
  return (
    <form role="search" onSubmit={submit} className="search">
      <TextInput
        ref={inputRef}
        aria-label={t('shell.search')}
        placeholder={t('shell.search_hint')}
        leftSection={<IconSearch size={16} aria-hidden />}
        size="sm"
        name="q"
        autoComplete="off"
      />
    </form>
  );
}

function ThemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={36} aria-label={t('shell.theme')} className="plain">
          <IconSunMoon size={20} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(['auto', 'light', 'dark'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            onClick={() => setColorScheme(scheme)}
            aria-current={colorScheme === scheme || undefined}
            fw={colorScheme === scheme ? 700 : 400}
          >
            {t(`theme.${scheme}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function AccountMenu() {
  const session = useSession();
  const client = useQueryClient();
  const people = useQuery({ ...queries.people(), enabled: session.demo === true });
  const leave = async () => {
    await signOut();
    remember(session);
    changeSession(client, null);
  };
  const become = async (person: string) => {
    const next = await viewAs(person);
    changeSession(client, next);
  };
  return (
    <Menu position="bottom-end" width={240}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={36} aria-label={t('shell.account', { name: session.person.name })} className="plain">
          <IconUser size={20} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label c="inherit">
          <Text fw={600} size="sm">
            {session.person.name}
          </Text>
          <Text size="xs" c="dimmed">
            {session.person.roles.map((r) => t(`role.${r}`, { defaultValue: r })).join(', ')}
          </Text>
        </Menu.Label>
        {session.demo && (
          <>
            <Menu.Divider />
            <Menu.Label c="dimmed">{t('shell.view_as')}</Menu.Label>
            {people.data?.items.map((p) => (
              <Menu.Item key={p.name} disabled={p.name === session.person.id} onClick={() => void become(p.name)}>
                {p.display || p.name}
              </Menu.Item>
            ))}
          </>
        )}
        <Menu.Divider />
        <Menu.Item onClick={() => void leave()}>{t('shell.sign_out')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
