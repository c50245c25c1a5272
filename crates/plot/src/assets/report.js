// The scheme: follows the system until the reader chooses.
(() => {
  const root = document.documentElement, button = document.querySelector("button.theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = dark() ? "☀ Light" : "☾ Dark";
    button.setAttribute("aria-label", dark() ? "Use the light colours" : "Use the dark colours");
    dispatchEvent(new Event("themechange"));
  };
  button.hidden = false;
  button.onclick = () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("thalweg-theme", root.dataset.theme); } catch {}
    show();
  };
  system.addEventListener("change", show);
  show();
})();

// A button that copies, on each block of code.
for (const block of document.querySelectorAll("figure.code")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    } catch { button.textContent = "Select and copy by hand"; }
  };
  block.append(button);
}

// The player: 24 bits a point, all set when it is not there; positions between frames are interpolated.
for (const figure of document.querySelectorAll("figure.player")) {
  const { points, times: words, frames } = figure.dataset;
  const count = Number(points), times = words.split(" ").map(Number), last = times.length - 1;
  const bytes = Uint8Array.from(atob(frames), c => c.charCodeAt(0)), STEPS = 4094, ABSENT = 4095;
  const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d");
  const play = figure.querySelector(".play"), slider = figure.querySelector("input"), clock = figure.querySelector("output");
  const SECONDS = 4, REST = 1.6;
  let at = last, playing = false, before = 0, rested = 0, touched = false;

  const coordinate = (k, i) => {
    const b = 3 * (k * count + i);
    return [bytes[b] << 4 | bytes[b + 1] >> 4, (bytes[b + 1] & 15) << 8 | bytes[b + 2]];
  };
  const draw = () => {
    const scale = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = getComputedStyle(canvas).color;
    pen.globalAlpha = count > 600 ? 0.55 : 0.75;
    const k = Math.min(Math.floor(at), Math.max(last - 1, 0)), next = Math.min(k + 1, last), part = at - k;
    const radius = (count > 600 ? 1.6 : 2.2) * scale * Math.max(0.7, width / 420);
    for (let i = 0; i < count; i++) {
      const [x0, y0] = coordinate(k, i), [x1, y1] = coordinate(next, i);
      if (x0 === ABSENT || x1 === ABSENT) continue;
      const x = (x0 + (x1 - x0) * part) / STEPS, y = (y0 + (y1 - y0) * part) / STEPS;
      pen.beginPath();
      pen.arc(x * canvas.width, (1 - y) * canvas.height, radius, 0, 7);
      pen.fill();
    }
    const t = times[k] + (times[next] - times[k]) * part;
    clock.textContent = "t = " + t.toFixed(2);
    slider.value = at;
    slider.setAttribute("aria-valuetext", clock.textContent);
  };
  const tick = now => {
    if (!playing) return;
    const seconds = before ? Math.min((now - before) / 1000, 0.1) : 0;
    before = now;
    if (at >= last) {
      rested += seconds;
      if (rested > REST) { at = 0; rested = 0; }
    } else at = Math.min(last, at + seconds * last / SECONDS);
    draw();
    requestAnimationFrame(tick);
  };
  const set = on => {
    playing = on && last > 0;
    before = 0;
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    if (playing) requestAnimationFrame(tick);
  };
  play.onclick = () => { touched = true; if (!playing && at >= last) at = 0; set(!playing); };
  slider.oninput = () => { touched = true; set(false); at = Number(slider.value); draw(); };
  figure.querySelector(".controls").hidden = false;
  figure.classList.add("live");
  addEventListener("themechange", draw);
  addEventListener("resize", draw);
  draw();
  // It moves by itself when it comes into view, unless the reader asked for calm or took over.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches && "IntersectionObserver" in window)
    new IntersectionObserver(([entry]) => {
      if (touched) return;
      if (entry.isIntersecting && at >= last) at = 0;
      set(entry.isIntersecting);
    }, { threshold: 0.4 }).observe(figure);
}
