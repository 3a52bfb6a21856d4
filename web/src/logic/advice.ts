import type { StatusAnswer } from '../api/model';

export interface Advice {
  title: string;
  text: string;
  command?: string;
  /** There is data, but not in the range looked at. */
  elsewhere?: boolean;
}

/** What to do when there are no requests to show. */
export function advise(status: StatusAnswer | undefined, filter: string): Advice {
  if (!status) return { title: 'Waiting for the first answer…', text: '' };
  const down = status.sources.find((s) => s.state === 'down' || s.state === 'backing_off');
  if (!status.collecting) {
    return {
      title: 'Collecting is stopped.',
      text: 'Start it on the Data view, or by the command.',
      command: 'cloverctl start visibility',
    };
  }
  if (down) {
    return {
      title: `${down.name} at ${down.target} does not answer.`,
      text: `${down.error || down.lastError} Check its address and that it runs; Clover tries again by itself.`,
    };
  }
  if (filter && status.store.spans > 0) {
    return {
      title: 'Nothing matches the filter in this range.',
      text: 'Check its spelling, or make the range longer.',
    };
  }
  if (status.store.spans > 0) {
    return {
      title: 'No requests in this range.',
      text: 'There are spans of other times.',
      elsewhere: true,
    };
  }
  const traces = status.sources.filter((s) => s.kind === 'traces');
  if (traces.length > 0) {
    return {
      title: `${traces.map((s) => s.name).join(', ')} answers but has no spans yet.`,
      text: 'Is sampling on, and does traffic reach the services? In Istio: Telemetry with randomSamplingPercentage.',
    };
  }
  return {
    title: 'No spans have arrived yet.',
    text: 'Send OTLP to this server (OTEL_EXPORTER_OTLP_ENDPOINT), or name a Jaeger to read:',
    command: 'cloverctl start visibility -f start_visibility.yaml',
  };
}
