"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const one = (name) => document.getElementById(name);
  const make = (tag, parent, text = "", about = {}) => {
    const made = Object.assign(document.createElement(tag), about);
    made.textContent = text;
    parent.append(made);
    return made;
  };
  const sprite = new Image();
  sprite.src = data.sprite;
  one("title").textContent = data.title;
  one("settings").textContent = data.settings;
  const several = data.answers.length > 1;
  data.classes.forEach((name, index) => make("option", one("class"), name, { value: String(index) }));
  data.answers.forEach((answer, index) => ["right", "wrong"].forEach((kind) => make("option", one("outcome"),
    several ? `${kind} by ${answer.model}` : kind, { value: `${kind} ${index}` })));
  const kinds = { class: "class", ...(data.groups ? { superclass: "superclass" } : {}),
    correct: "right or wrong", confidence: "confidence" };
  Object.entries(kinds).forEach(([value, text]) => make("option", one("color"), text, { value }));
  one("color").value = data.color;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const colours = dark
    ? ["#6fb7ea", "#f2935a", "#4fc3a1", "#cf9fe0", "#d8c25a", "#f08fb0", "#b0bac2"]
    : ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444"];
  const symbols = ["circle", "triangle-up", "square", "diamond"], signs = ["●", "▲", "■", "◆"];
  const most = colours.length * symbols.length;
  const panels = data.panels.map((panel, index) => {
    const figure = make("figure", one("plots"));
    if (data.panels.length > 1) make("figcaption", figure, `${"abcd"[index]}  ${panel.title}\n${panel.settings}`);
    const plot = make("div", figure, "", { className: "plot" });
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-roledescription", "scatter plot");
    plot.setAttribute("aria-label", `Images as points in the plane: ${panel.title}. Arrow keys go to the next `
      + "image in their direction, Page Up and Page Down through all of them.");
    return { ...panel, plot, ring: make("span", figure, "", { className: "ring", hidden: true }) };
  });
  let shown = data.labels.map((_, row) => row);

  /** Return what groups the points have, `null` where colours tell a number. */
  function groups(answer) {
    const kind = one("color").value;
    if (kind === "confidence") return null;
    if (kind === "correct") return { names: ["right", "wrong"], of: (row) => 1 - answer.right[row] };
    return kind === "superclass" ? { names: data.groups.names, of: (row) => data.groups.member[data.labels[row]] }
      : { names: data.classes, of: (row) => data.labels[row] };
  }
  function marker(answer) {
    const told = groups(answer), size = shown.length > 3000 ? 4 : 7;
    if (told === null) {
      const color = shown.map((row) => answer.confidence[row]);
      return { size, opacity: 0.8, color, colorscale: "Viridis", cmin: 0, cmax: 1 };
    }
    const symbol = (group) => symbols[Math.floor(group / colours.length) % symbols.length];
    const wrong = one("color").value === "correct";
    return { size, opacity: 0.75, color: shown.map((row) => colours[told.of(row) % colours.length]),
      symbol: shown.map((row) => wrong ? symbols[told.of(row)] : symbol(told.of(row))) };
  }
  function key() {
    const told = groups(data.answers[0]), place = one("key");
    place.textContent = "";
    place.className = told === null ? "ramp" : "";
    if (told === null) {
      ["0", "", "1"].forEach((text) => make("li", place, text));
    } else if (told.names.length <= most) {
      const wrong = one("color").value === "correct";
      told.names.forEach((name, group) => {
        const item = make("li", place), sign = wrong ? group : Math.floor(group / colours.length);
        make("span", item, signs[sign % signs.length]).style.color = colours[group % colours.length];
        item.append(` ${name}`);
      });
    }
  }
  function draw() {
    const wanted = one("class").value, [kind, index] = one("outcome").value.split(" ");
    shown = data.labels.map((_, row) => row).filter((row) => (wanted === "" || data.labels[row] === Number(wanted))
      && (kind === "" || (kind === "right") === (data.answers[Number(index)].right[row] === 1)));
    const [some, all] = [shown, data.labels].map((each) => each.length.toLocaleString("en"));
    one("count").textContent = `${some} of ${all} images`;
    key();
    point(null);
    const clear = "rgba(0,0,0,0)";
    // The view stays as it is when images are left out.
    const axis = (values) => ({ visible: false, range: [-0.03, Math.max(...values) + 0.03] });
    return Promise.all(panels.map((panel) => Plotly.react(panel.plot, [{
      type: "scatter", mode: "markers", hoverinfo: "none", x: shown.map((row) => panel.x[row]),
      y: shown.map((row) => panel.y[row]), marker: marker(data.answers[panel.answer]),
    }], {
      margin: { l: 0, r: 0, t: 0, b: 0 }, hovermode: "closest", dragmode: "pan", paper_bgcolor: clear,
      plot_bgcolor: clear, xaxis: axis(panel.x), yaxis: { ...axis(panel.y), scaleanchor: "x" }, uirevision: "same",
    }, { displaylogo: false, responsive: true, scrollZoom: true, displayModeBar: false }))).then(() => point(null));
  }

  /** Put a ring around an image in every panel; around none where `row` is null. */
  function point(row) {
    panels.forEach(({ plot, ring, x, y }) => {
      ring.hidden = row === null;
      if (row === null) return;
      const { xaxis, yaxis } = plot._fullLayout;
      ring.style.left = `${plot.offsetLeft + xaxis._offset + xaxis.d2p(x[row])}px`;
      ring.style.top = `${plot.offsetTop + yaxis._offset + yaxis.d2p(y[row])}px`;
    });
  }
  function show(row) {
    const canvas = one("thumb"), side = data.side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    context.drawImage(sprite, row % data.columns * side, Math.floor(row / data.columns) * side, side, side,
      0, 0, side, side);
    const said = data.answers.map((answer) => {
      const name = answer.predicted[row] < 0 ? "nothing" : (answer.classes || data.classes)[answer.predicted[row]];
      return `${several ? `${answer.model} ` : ""}predicted: ${name} (${(100 * answer.confidence[row]).toFixed(1)} %)`;
    });
    one("about").textContent = [data.names[row], `true: ${data.classes[data.labels[row]]}`, ...said].join("\n");
    canvas.dataset.row = String(row);
    point(row);
  }

  /** Return the image that a key leads to from another, `undefined` where there is none. */
  function next(panel, key, row) {
    const place = shown.indexOf(row), last = shown.length - 1;
    const step = { Home: 0, End: last, PageUp: Math.max(0, place - 1), PageDown: Math.min(last, place + 1) }[key];
    if (step !== undefined) return shown[step];
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (way === undefined || place < 0) return way && shown[0];
    let nearest, least = Infinity;
    shown.forEach((other) => {
      const right = panel.x[other] - panel.x[row], up = panel.y[other] - panel.y[row];
      const along = right * way[0] + up * way[1], aside = Math.abs(right * way[1] + up * way[0]);
      if (along > 0 && along >= aside && Math.hypot(along, aside) < least) {
        nearest = other;
        least = Math.hypot(along, aside);
      }
    });
    return nearest;
  }
  /** Move the view of a panel so that an image is in it. */
  function reveal({ plot, x, y }, row) {
    const moved = {};
    [["xaxis", x[row]], ["yaxis", y[row]]].forEach(([name, value]) => {
      const [low, high] = plot._fullLayout[name].range, half = (high - low) / 2;
      if (value < low || value > high) moved[`${name}.range`] = [value - half, value + half];
    });
    return Object.keys(moved).length ? Plotly.relayout(plot, moved) : null;
  }
  function press(panel, event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const row = next(panel, event.key, Number(one("thumb").dataset.row ?? -1));
    if (row === undefined) return;
    event.preventDefault();
    Promise.all(panels.map((each) => reveal(each, row))).then(() => show(row));
  }
  draw().then(() => {
    panels.forEach((panel) => {
      const { plot } = panel;
      plot.addEventListener("keydown", (event) => press(panel, event));
      plot.on("plotly_hover", (event) => show(shown[event.points[0].pointNumber]));
      plot.on("plotly_relayouting", () => point(null));
      plot.on("plotly_relayout", () => point(null));
    });
    document.body.dataset.ready = "yes";
  });
  ["class", "outcome", "color"].forEach((name) => one(name).addEventListener("change", draw));
})();
