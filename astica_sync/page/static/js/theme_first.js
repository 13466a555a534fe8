// Runs before the first paint, so that the page does not flash in the other theme.
try {
  const theme = JSON.parse(localStorage.getItem("astica.theme") || '"system"');
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme is used.
}
