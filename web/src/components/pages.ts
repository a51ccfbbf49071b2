// The pages of the navigation, with their letters.
import {
  IconAlertTriangle,
  IconArrowsSplit2,
  IconCoin,
  IconGauge,
  IconGitPullRequest,
  IconHome,
  IconListSearch,
  IconPackage,
  IconQuestionMark,
  IconSettings,
  IconWaveSine,
} from '@tabler/icons-react';

export const PAGES = [
  { to: '/', key: 'home', letter: 'a', icon: IconHome },
  { to: '/changes', key: 'changes', letter: 'c', icon: IconGitPullRequest },
  { to: '/live', key: 'live', letter: 'l', icon: IconWaveSine },
  { to: '/incidents', key: 'incidents', letter: 'i', icon: IconAlertTriangle },
  { to: '/releases', key: 'releases', letter: 'r', icon: IconPackage },
  { to: '/why', key: 'why', letter: 'w', icon: IconQuestionMark },
  { to: '/experiments', key: 'experiments', letter: 'x', icon: IconArrowsSplit2 },
  { to: '/audit', key: 'audit', letter: 'u', icon: IconListSearch },
  { to: '/costs', key: 'costs', letter: 'o', icon: IconCoin },
  { to: '/kpis', key: 'kpis', letter: 'k', icon: IconGauge },
  { to: '/settings', key: 'settings', letter: 's', icon: IconSettings },
] as const;
