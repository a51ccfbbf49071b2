declare module 'virtual:texts/shell' {
  const texts: Record<string, unknown>;
  export default texts;
}
declare module 'virtual:texts/*';
