/// Style sheet of a report: light and dark colors, from the width of a telephone to that of a desk, and on paper.
enum ReportStyle {
  private static let colors = [
    Palette.paper, Palette.ink, Palette.Color("panel", "#f6f7f9", "#21242b"), Palette.Color("quiet", "#59616b", "#a4abb5"),
    Palette.Color("line", "#dde1e6", "#353941"), Palette.Color("wrong", "#b34700", "#f0a04b"),
    Palette.Color("link", "#0072b2", "#56b4e9"),
  ]

  static let text = """
    :root { \(Palette.variables(colors, \.light, prefix: "--")) }
    @media (prefers-color-scheme: dark) {
      :root { \(Palette.variables(colors, \.dark, prefix: "--")) }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; }
    body {
      max-width: 78rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
    }
    h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
    h2 {
      margin: 2.5rem 0 0.75rem; padding-bottom: 0.3rem; border-bottom: 1px solid var(--line); font-size: 1.35rem;
      overflow-wrap: anywhere;
    }
    h3 { margin: 2rem 0 0.6rem; font-size: 1.1rem; }
    h4 { margin: 1.25rem 0 0.4rem; font-size: 0.95rem; }
    p { margin: 0.4rem 0 0.9rem; max-width: 50rem; overflow-wrap: anywhere; }
    ul { margin: 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
    .quiet, figcaption, footer { color: var(--quiet); font-size: 0.9rem; }
    .warning { padding: 0.5rem 0.8rem; border-left: 4px solid var(--wrong); background: var(--panel); }
    .run { margin-top: 3rem; }
    footer { margin-top: 3rem; padding-top: 0.8rem; border-top: 1px solid var(--line); }

    .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1.25rem 0 0; }
    .cards > div { padding: 0.7rem 0.9rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
    .cards dt { color: var(--quiet); font-size: 0.85rem; }
    .cards dd { margin: 0; }
    .cards .value { font-size: 1.35rem; font-weight: 600; line-height: 1.35; font-variant-numeric: tabular-nums; }

    .grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1rem; align-items: start; }
    .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 2rem; }
    .columns > *, .grid > * { min-width: 0; }
    figure { margin: 0; }
    .chart { padding: 0.5rem 0.5rem 0.7rem; border: 1px solid var(--line); border-radius: 8px; }
    .chart svg { display: block; width: 100%; height: auto; margin: 0 auto; }
    .chart .heat-map { width: auto; max-width: 100%; }
    .chart.wide .heat-map { max-width: none; }
    .chart .paper { fill: none; }
    .chart figcaption { padding: 0.2rem 0.5rem 0; }
    .scroll { overflow-x: auto; }
    .tall { max-height: 28rem; overflow-y: auto; border: 1px solid var(--line); border-radius: 8px; }
    .tall thead th { position: sticky; top: 0; background: var(--panel); }

    table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
    .tall table, .columns table { width: 100%; }
    th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
    td { overflow-wrap: anywhere; min-width: 4.5rem; }
    thead th { color: var(--quiet); font-weight: 600; font-size: 0.85rem; }
    tbody th { font-weight: 500; }
    .number { text-align: right; white-space: nowrap; }

    .facts { columns: 20rem; column-gap: 2rem; margin: 0 0 1rem; font-size: 0.92rem; }
    .facts > div {
      display: flex; justify-content: space-between; gap: 1rem; padding: 0.25rem 0; border-bottom: 1px solid var(--line);
      break-inside: avoid;
    }
    .facts dt { flex: none; max-width: 60%; color: var(--quiet); overflow-wrap: anywhere; }
    .facts dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }

    .gallery {
      display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 0.75rem; margin: 0; padding: 0;
      list-style: none;
    }
    .gallery figure { height: 100%; padding: 0.5rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
    .gallery img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain; border-radius: 4px; }
    .pixels img { image-rendering: pixelated; }
    .gallery figcaption { padding-top: 0.4rem; font-size: 0.85rem; line-height: 1.35; }
    .gallery span { display: block; overflow-wrap: anywhere; }
    .gallery .class { color: var(--ink); font-weight: 600; }
    .gallery .wrong { color: var(--wrong); font-weight: 600; }
    .gallery .quiet, .gallery .file { font-size: 0.78rem; }
    .gallery .quiet { white-space: nowrap; font-variant-numeric: tabular-nums; }
    .blank { display: grid; place-items: center; aspect-ratio: 1; border: 1px dashed var(--line); color: var(--quiet); }
    .sheet img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }

    @media (max-width: 40rem) {
      body { padding: 1rem 0.75rem 2rem; }
      h1 { font-size: 1.5rem; }
      .cards { grid-template-columns: repeat(2, 1fr); gap: 0.5rem; }
      .cards .value { font-size: 1.15rem; }
      .chart { padding: 0.25rem 0.1rem 0.5rem; }
      .gallery { grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr)); gap: 0.5rem; }
      table { font-size: 0.8rem; }
      thead th { font-size: 0.75rem; }
      th, td { padding: 0.25rem 0.3rem; }
      td { min-width: 2.8rem; }
    }
    @media print {
      :root {
        --paper: #ffffff; --panel: #ffffff; --ink: #000000; --quiet: #444444; --line: #cccccc; --wrong: #a03c00; --link: #000000;
      }
      body { max-width: none; padding: 0; font-size: 10pt; }
      .tall { max-height: none; overflow: visible; border: none; }
      .tall thead th { position: static; }
      .scroll { overflow: visible; }
      .grid, .columns { grid-template-columns: repeat(2, 1fr); }
      .chart figcaption { font-size: 8pt; }
      .chart .heat-map { max-height: 17cm; }
      .chart.wide .heat-map { max-width: 100%; }
      .gallery { grid-template-columns: repeat(6, 1fr); }
      .tall table, .columns table { font-size: 8pt; }
      figure, .cards > div, tr, .gallery li { break-inside: avoid; }
      h2, h3, h4 { break-after: avoid; }
    }

    """
}
