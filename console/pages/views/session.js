// One session: what it was, and its files by monitor, then by time (T11).
import { html, useEffect, useState } from '../base/html.js';
import { get } from '../base/api.js';
import { startDownloads } from '../base/downloads.js';
import { formatBytes, formatDuration, formatTime, knownZone } from '../base/format.js';
import { allFiles, isPlayable, isStored } from '../base/recordings.js';
import { useLive } from '../base/live.js';
import { copyLink, whyNotStored } from '../parts/file_actions.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { RecordingPill, StatusPill } from '../parts/pill.js';
import { Empty, ProblemBox } from '../parts/problem.js';
import { T } from '../texts.js';

const S = T.session;
const F = T.files;

function byMonitor(files) {
  const groups = new Map();
  for (const file of files) {
    if (!groups.has(file.monitor)) groups.set(file.monitor, []);
    groups.get(file.monitor).push(file);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

function Facts({ session, zone }) {
  const facts = [
    [S.user, session.user],
    [S.started, formatTime(session.started_at, zone)],
    [S.ended, session.ended_at ? formatTime(session.ended_at, zone) : S.running],
    [S.duration, formatDuration(session.duration_ms)],
    [S.access, `${T.access[session.access]}, ${T.paths[session.path]}`],
    [S.viewer, [T.doors[session.door], session.viewer].filter(Boolean).join(', ')],
    [S.address, session.client_addr],
    [S.desktop, session.desktop_name],
    [S.recording, html`<${RecordingPill} session=${session} />`],
    [S.reason, session.end_reason],
    [S.id, html`<span class="mono">${session.id}</span>`],
  ].filter(([, value]) => value);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div key=${name} class=${name === S.id ? 'long' : ''}>
    <dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function File({ file, zone }) {
  const title = `${formatTime(file.started_at, zone)} · ${formatDuration(file.duration_ms)}`;
  const facts = [T.split[file.split_reason], `${file.width} × ${file.height}`,
    F.rate(file.frame_rate), formatBytes(file.bytes)].filter(Boolean).join(' · ');
  const why = whyNotStored(file);
  return html`<li>
    <div class="file-what"><b>${title}</b><p>${facts}</p></div>
    <${StatusPill} file=${file} />
    <div class="actions">
      ${isPlayable(file)
    ? html`<a class="button" href=${`/recordings/${file.id}`} aria-label=${F.playOf(title)}><${Icon} name="play" />${F.play}</a>`
    : html`<button type="button" disabled title=${F.notStored}><${Icon} name="play" />${F.play}</button>`}
      <button type="button" disabled=${!isPlayable(file)} title=${isPlayable(file) ? undefined : why}
        aria-label=${F.copyOf(title)} onClick=${() => copyLink(file)}><${Icon} name="copy" />${F.copy}</button>
      <button type="button" disabled=${!isStored(file)} title=${why || undefined}
        aria-label=${F.downloadOf(title)} onClick=${() => startDownloads([file])}><${Icon} name="download" />${F.download}</button>
    </div></li>`;
}

function Files({ session, files, zone }) {
  if (files.length === 0)
    return html`<${Empty} title=${F.noneTitle}><p>${session.segments > 0 ? F.notYours : T.recording.help[session.recording]}</p><//>`;
  return byMonitor(files).map(([monitor, list]) => html`<section class="monitor" key=${monitor}>
    <h2>${list[0].monitor_name || S.monitor(monitor)}</h2>
    <ul class="files">${list.map((file) => html`<${File} key=${file.id} file=${file} zone=${zone} />`)}</ul>
  </section>`);
}

export default function Session({ person, id }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const load = async () => {
    const [session, files] = await Promise.all([get(`sessions/${id}`), allFiles(id)]);
    setFound({ session, files });
    setProblem(null);
  };
  useEffect(() => {
    load().catch(setProblem);
  }, [id]);
  useLive(load, (name, data) => data.id === id || data.session === id, [id]);
  const zone = knownZone(person.time_zone);
  const session = found?.session;
  if (problem && !found)
    return html`<${Page} title=${S.title}><${ProblemBox} problem=${problem} onRetry=${() => load().catch(setProblem)} /><//>`;
  return html`<${Page} title=${session ? S.with(session.endpoint) : S.title}
      lead=${session ? S.lead(session.user, formatTime(session.started_at, zone)) : ' '}
      actions=${found?.files.some(isPlayable) && html`<a class="button primary" href=${`/sessions/${id}/play`}>
        <${Icon} name="play" />${S.playAll}</a>`}>
    ${found && html`<${Facts} session=${session} zone=${zone} />
      <${Files} session=${session} files=${found.files} zone=${zone} />`}
  <//>`;
}
