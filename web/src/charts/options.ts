// What charts show, as values: options of ECharts made from figures and a
// palette. Names from traffic are drawn on a canvas, never read as markup.
import type { EChartsCoreOption } from 'echarts/core';
import { axisTime, clock, compact, dateTime, named, shorten } from '../logic/format';
import type { Palette } from '../state/theme.svelte';

export type Option = EChartsCoreOption;

export interface Line {
  name: string;
  /** [milliseconds, value]; null leaves a gap. */
  points: [number, number | null][];
  colour: string;
  /** Filled, and stacked on the others that are. */
  stacked?: boolean;
  dashed?: boolean;
}

export interface TimeChart {
  lines: Line[];
  from: number;
  to: number;
  format: (n: number) => string;
  /** Dots without lines. */
  dots?: boolean;
}

const reduced = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;

/** What all charts share. */
export function base(p: Palette): Option {
  return {
    animation: !reduced(),
    animationDuration: 250,
    animationDurationUpdate: 150,
    textStyle: { fontFamily: p.font, color: p.muted },
    tooltip: {
      // Text on the canvas: no markup is ever read.
      renderMode: 'richText',
      backgroundColor: p.raised,
      borderColor: p.line,
      textStyle: { color: p.text, fontSize: p.px(0.86) },
      confine: true,
    },
  };
}

const valueAxis = (p: Palette, format: (n: number) => string) => ({
  type: 'value',
  min: 0,
  splitNumber: 4,
  axisLabel: { color: p.muted, formatter: format, fontSize: p.px(0.79) },
  splitLine: { lineStyle: { color: p.line } },
});

interface Hovered {
  seriesName: string;
  value: [number, number | null];
}

/** Lines or dots over time. */
export function timeChart(c: TimeChart, p: Palette): Option {
  const span = (c.to - c.from) / 1000;
  const shared = base(p);
  return {
    ...shared,
    grid: { left: 8, right: 12, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...(shared.tooltip as object),
      trigger: c.dots ? 'item' : 'axis',
      axisPointer: { lineStyle: { color: p.muted, type: 'dashed' } },
      formatter: (hovered: Hovered | Hovered[]) => hoverText([hovered].flat(), c.format),
    },
    xAxis: {
      type: 'time',
      min: c.from,
      max: c.to,
      axisLine: { lineStyle: { color: p.line } },
      axisLabel: {
        color: p.muted,
        fontSize: p.px(0.79),
        hideOverlap: true,
        formatter: (ms: number) => axisTime(ms, span),
      },
      splitLine: { show: false },
    },
    yAxis: valueAxis(p, c.format),
    series: c.lines.map((line) => ({
      name: line.name,
      type: c.dots ? 'scatter' : 'line',
      data: line.points,
      symbolSize: c.dots ? 7 : 5,
      showSymbol: c.dots || line.points.filter(([, value]) => value !== null).length < 2,
      color: line.colour,
      lineStyle: { width: line.stacked ? 1 : 2, type: line.dashed ? 'dashed' : 'solid' },
      ...(line.stacked ? { stack: 'all', areaStyle: { opacity: 0.35 } } : {}),
      emphasis: { focus: c.lines.length > 1 ? 'series' : 'none' },
    })),
  };
}

/** What is under the pointer: the time, and the largest values at it. */
function hoverText(hovered: Hovered[], format: (n: number) => string): string {
  const first = hovered[0];
  if (!first) return '';
  const rows = hovered.filter((h) => h.value[1] !== null);
  rows.sort((a, b) => (b.value[1] ?? 0) - (a.value[1] ?? 0));
  const lines = rows
    .slice(0, 12)
    .map((h) => `${plain(shorten(h.seriesName, 44))}  ${format(h.value[1] ?? 0)}`);
  if (rows.length > 12) lines.push(`and ${rows.length - 12} more`);
  return [dateTime(first.value[0]), ...lines].join('\n');
}

/** Text in which rich text finds no style: "{a|b}" stays as it is. */
export const plain = (text: string): string => text.replace(/[{}|]/g, (c) => `${c}\u2060`);

export interface Slice {
  name: string;
  value: number;
  share: number;
  colour: string;
}

const sliceText = (s: Slice, format: (n: number) => string) =>
  `${plain(shorten(named(s.name), 90))}\n${format(s.value)}  (${(s.share * 100).toFixed(1)} %)`;

/** Bars, the largest on top. */
export function barChart(slices: Slice[], p: Palette, format: (n: number) => string = compact): Option {
  const shared = base(p);
  return {
    ...shared,
    grid: { left: 8, right: p.px(6), top: 4, bottom: 4, containLabel: true },
    tooltip: {
      ...(shared.tooltip as object),
      trigger: 'item',
      formatter: (h: { dataIndex: number }) => sliceText(slices[h.dataIndex] as Slice, format),
    },
    xAxis: { type: 'value', show: false },
    yAxis: {
      type: 'category',
      inverse: true,
      data: slices.map((s) => named(s.name)),
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: { color: p.text, fontSize: p.px(0.79), formatter: (name: string) => shorten(name, 26) },
    },
    series: [
      {
        type: 'bar',
        barMaxWidth: p.px(1.28),
        data: slices.map((s) => ({
          value: s.value,
          itemStyle: { color: s.colour, borderRadius: [0, 3, 3, 0] },
          label: { formatter: `${format(s.value)}  ${(s.share * 100).toFixed(1)} %` },
        })),
        label: { show: true, position: 'right', color: p.muted, fontSize: p.px(0.79) },
      },
    ],
  };
}

/** A ring of shares. */
export function pieChart(slices: Slice[], p: Palette, format: (n: number) => string = compact): Option {
  const shared = base(p);
  return {
    ...shared,
    tooltip: {
      ...(shared.tooltip as object),
      trigger: 'item',
      formatter: (h: { dataIndex: number }) => sliceText(slices[h.dataIndex] as Slice, format),
    },
    series: [
      {
        type: 'pie',
        radius: ['52%', '88%'],
        data: slices.map((s) => ({ name: named(s.name), value: s.value, itemStyle: { color: s.colour } })),
        label: { show: false },
        itemStyle: { borderColor: p.panel, borderWidth: 2, borderRadius: 3 },
        emphasis: { scaleSize: 4 },
      },
    ],
  };
}

export interface HeatCell {
  column: number;
  band: number;
  count: number;
}

/** How many took how long, over time. */
export function heatChart(
  c: { times: number[]; step: number; bands: string[]; cells: HeatCell[]; spanSeconds: number },
  p: Palette,
): Option {
  const shared = base(p);
  const most = c.cells.reduce((n, cell) => Math.max(n, cell.count), 1);
  const labels = c.times.map((ms) => axisTime(ms, c.spanSeconds));
  const every = Math.max(1, Math.ceil(labels.length / 9));
  return {
    ...shared,
    grid: { left: 8, right: 8, top: 8, bottom: 4, containLabel: true },
    tooltip: {
      ...(shared.tooltip as object),
      trigger: 'item',
      formatter: (h: { dataIndex: number }) => {
        const cell = c.cells[h.dataIndex] as HeatCell;
        const at = c.times[cell.column] ?? 0;
        return `${clock(at)} – ${clock(at + c.step * 1000)}\n${c.bands[cell.band]}\n${compact(cell.count)} requests`;
      },
    },
    visualMap: {
      show: false,
      min: 0,
      // Colours by the root: rare and slow is what one looks for.
      max: Math.sqrt(most),
      inRange: { color: p.heat },
    },
    xAxis: {
      type: 'category',
      data: labels,
      axisLine: { lineStyle: { color: p.line } },
      axisTick: { show: false },
      axisLabel: {
        color: p.muted,
        fontSize: p.px(0.79),
        interval: (i: number) => i % every === 0 && labels[i] !== labels[i - every],
      },
    },
    yAxis: {
      type: 'category',
      data: c.bands,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: p.muted, fontSize: p.px(0.79) },
    },
    series: [
      {
        type: 'heatmap',
        data: c.cells.map((cell) => ({ value: [cell.column, cell.band, Math.sqrt(cell.count)] })),
        itemStyle: { borderColor: p.panel, borderWidth: 1 },
        emphasis: { itemStyle: { borderColor: p.text, borderWidth: 1.5 } },
      },
    ],
  };
}
