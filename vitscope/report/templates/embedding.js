"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const one = (name) => document.getElementById(name);
  const sprite = new Image();
  sprite.src = data.sprite;
  one("title").textContent = data.title;
  one("settings").textContent = data.settings;
  data.classes.forEach((name, index) => {
    const option = document.createElement("option");
    option.value = String(index);
    option.textContent = name;
    one("class").append(option);
  });
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const colours = dark
    ? ["#6fb7ea", "#f2935a", "#4fc3a1", "#cf9fe0", "#d8c25a", "#f08fb0", "#b0bac2"]
    : ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444"];
  const symbols = ["circle", "triangle-up", "square", "diamond"];
  let shown = [];
  function draw() {
    const wanted = one("class").value, outcome = one("outcome").value;
    shown = data.labels.map((_, row) => row).filter((row) => {
      const right = data.labels[row] === data.predicted[row];
      return (wanted === "" || data.labels[row] === Number(wanted))
        && (outcome === "" || (outcome === "right") === right);
    });
    one("count").textContent = `${shown.length} of ${data.labels.length} images`;
    const trace = {
      type: "scatter", mode: "markers", hoverinfo: "none",
      x: shown.map((row) => data.x[row]), y: shown.map((row) => data.y[row]),
      marker: {
        size: shown.length > 3000 ? 4 : 7, opacity: 0.75,
        color: shown.map((row) => colours[data.labels[row] % colours.length]),
        symbol: shown.map((row) => symbols[Math.floor(data.labels[row] / colours.length) % symbols.length]),
      },
    };
    const axis = { visible: false };
    const clear = "rgba(0,0,0,0)";
    return Plotly.react("plot", [trace], {
      margin: { l: 0, r: 0, t: 0, b: 0 }, hovermode: "closest", dragmode: "pan", paper_bgcolor: clear,
      plot_bgcolor: clear, xaxis: axis, yaxis: { ...axis, scaleanchor: "x" }, uirevision: "same",
    }, { displaylogo: false, responsive: true, scrollZoom: true, displayModeBar: false });
  }
  function show(row) {
    const canvas = one("thumb"), side = data.side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    context.drawImage(sprite, row % data.columns * side, Math.floor(row / data.columns) * side, side, side,
      0, 0, side, side);
    const said = data.predicted[row] < 0 ? "nothing" : data.classes[data.predicted[row]];
    one("about").textContent = `${data.names[row]}\ntrue: ${data.classes[data.labels[row]]}\npredicted: ${said}`
      + ` (${(100 * data.confidence[row]).toFixed(1)} %)`;
    canvas.dataset.row = String(row);
  }
  draw().then(() => {
    one("plot").on("plotly_hover", (event) => show(shown[event.points[0].pointNumber]));
    document.body.dataset.ready = "yes";
  });
  one("class").addEventListener("change", draw);
  one("outcome").addEventListener("change", draw);
})();
