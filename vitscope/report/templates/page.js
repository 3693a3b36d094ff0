'use strict';
(() => {
  const make = (tag, about = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(about)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const picture = (letter) => letter === '\x7f' ? '\u2421' : String.fromCharCode(0x2400 + letter.charCodeAt(0));
  const shown = (name) => {
    const plain = name.replace(/[\u0000-\u001f\u007f]/g, picture).replace(/[\u2028\u2029]/g, '\u2424').replace(/\ufeff/g, '');
    return plain.trim() ? plain : '(blank)';
  };
  const named = (name) => make('bdi', {}, shown(name));
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  // Tables: sorted by a click on a heading, filtered by a word where there are many rows.
  const value = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === 'text') return cell.textContent.trim();
    return Number(cell.dataset.value ?? cell.textContent.replace(/[^0-9.\-]/g, ''));
  };
  const order = new Intl.Collator(undefined, {numeric: true});
  for (const table of document.querySelectorAll('table.sortable')) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const kind = head.dataset.sort;
      if (!kind || body.rows.length < 2) return;
      const button = make('button', {type: 'button'}, ...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const up = head.getAttribute('aria-sort') !== 'ascending';
        heads.forEach((each) => each.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        const rows = [...body.rows].map((row) => [value(row, column, kind), row]);
        rows.sort(([a], [b]) => (up ? 1 : -1) * (kind === 'text' ? order.compare(a, b) : a - b));
        body.append(...rows.map(([, row]) => row));
      });
    });
    if (body.rows.length <= 20) continue;
    const box = make('input', {type: 'search', autocomplete: 'off'});
    box.addEventListener('input', () => {
      const wanted = box.value.trim().toLocaleLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
    });
    (table.closest('.scroll') ?? table).before(make('label', {class: 'filter'}, 'Show rows with', box));
  }

  // Confusion: the images of a cell.
  for (const section of document.querySelectorAll('.confusion')) {
    const data = JSON.parse(document.getElementById(`${section.dataset.run}-data`).textContent);
    const panel = section.querySelector('.panel');
    const cells = new Map(data.cells.map((cell) => [`${cell[0]},${cell[1]}`, cell]));
    const totals = new Map();
    for (const [true_, , count] of data.cells) totals.set(true_, (totals.get(true_) ?? 0) + count);
    const sheets = new Map();
    const sheet = (number) => {
      if (!sheets.has(number)) {
        const image = new Image();
        image.src = data.sheets[number];
        sheets.set(number, image.decode().then(() => image));
      }
      return sheets.get(number);
    };
    const thumb = (index) => {
      const [name, sure, width, height] = data.images[index];
      const item = make('li', {title: shown(name)});
      if (width) {
        const canvas = make('canvas', {width, height, role: 'img', 'aria-label': shown(name)});
        const place = index % data.per_sheet;
        const [left, top] = [place % data.columns, Math.floor(place / data.columns)].map((each) => each * data.cell);
        sheet(Math.floor(index / data.per_sheet)).then((image) => {
          canvas.getContext('2d').drawImage(image, left, top, width, height, 0, 0, width, height);
          canvas.dataset.drawn = 'yes';
        });
        item.append(canvas);
      } else {
        item.append('cannot be read');
      }
      item.append(percent(sure), make('span', {class: 'file'}, named(name)));
      return item;
    };
    const tell = (key) => {
      const [true_, predicted] = key.split(',').map(Number);
      const count = cells.get(key)?.[2] ?? 0;
      const line = make(`h${section.dataset.level}`, {class: 'cell'}, named(data.classes[true_]));
      if (true_ === predicted) line.append(' predicted right');
      else line.append(' taken for ', named(data.classes[predicted]));
      const total = totals.get(true_) ?? 0;
      const share = total ? `: ${percent(count / total)}` : '';
      return [line, make('p', {}, `${count.toLocaleString('en')} of ${total.toLocaleString('en')} images${share}. `)];
    };
    const show = (key) => {
      const [, , count, first, number] = cells.get(key) ?? [0, 0, 0, 0, 0];
      const [line, about] = tell(key);
      panel.hidden = false;
      if (number) {
        about.append(number < count ? `${number} of them, drawn at random (seed ${data.seed}), the surest first.` : 'The surest first.');
      } else if (count) {
        about.append(data.images.length ? 'The page holds no image of this cell.' : 'The images are not at hand.');
      }
      const list = make('ul', {class: 'thumbs'}, ...Array.from({length: number}, (_, place) => thumb(first + place)));
      panel.replaceChildren(line, about, list);
      panel.dataset.cell = key;
    };
    panel.setAttribute('aria-live', 'polite');
    panel.hidden = false;
    panel.replaceChildren(make('p', {}, 'Click a cell, or press Enter on one, to see its images.'));

    const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    const table = section.querySelector('table.matrix');
    if (table) {
      table.setAttribute('role', 'grid');
      const grid = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1));
      let [row, column] = [0, 0];
      const choose = (r, c, focus) => {
        grid[row][column].tabIndex = -1;
        [row, column] = [r, c];
        grid[row][column].tabIndex = 0;
        if (focus) grid[row][column].focus();
      };
      grid.flat().forEach((cell) => { cell.tabIndex = -1; });
      choose(0, 0, false);
      const open = () => {
        for (const each of table.querySelectorAll('[aria-selected]')) each.removeAttribute('aria-selected');
        grid[row][column].setAttribute('aria-selected', 'true');
        show(grid[row][column].dataset.cell);
      };
      table.addEventListener('click', (event) => {
        const cell = event.target.closest('td[data-cell]');
        if (!cell) return;
        const r = grid.findIndex((each) => each.includes(cell));
        choose(r, grid[r].indexOf(cell), true);
        open();
      });
      table.addEventListener('keydown', (event) => {
        if (!event.target.matches('td[data-cell]')) return;
        const last = grid.length - 1;
        if (event.key === 'Enter' || event.key === ' ') open();
        else if (event.key === 'Home') choose(row, 0, true);
        else if (event.key === 'End') choose(row, last, true);
        else if (steps[event.key]) {
          const [down, right] = steps[event.key];
          choose(Math.min(last, Math.max(0, row + down)), Math.min(last, Math.max(0, column + right)), true);
        } else return;
        event.preventDefault();
      });
    }

    // A large matrix is a picture: the nearest cell that has images, within some pixels of the mouse.
    const map = section.querySelector('.picture');
    let point = () => {};
    if (map) {
      const classes = map.dataset.order.split(',').map(Number);
      const place = new Map(classes.map((each, index) => [each, index]));
      const width = classes.length;
      const image = map.querySelector('img');
      const cross = make('div', {class: 'cross'});
      let at = [0, 0];
      map.append(cross);
      map.tabIndex = 0;
      map.setAttribute('role', 'application');
      map.setAttribute('aria-label', 'Confusion matrix: arrow keys go from class to class, Enter shows the images of a cell');
      const key = () => `${classes[at[0]]},${classes[at[1]]}`;
      const move = (r, c) => {
        at = [r, c].map((each) => Math.min(width - 1, Math.max(0, each)));
        cross.style.top = `${100 * (at[0] + 0.5) / width}%`;
        cross.style.left = `${100 * (at[1] + 0.5) / width}%`;
      };
      const nearest = (r, c) => {
        let [best, found] = [(8 * width / image.clientWidth) ** 2, [Math.floor(r), Math.floor(c)]];
        for (const [true_, predicted] of data.cells) {
          const [down, right] = [place.get(true_), place.get(predicted)];
          const far = (down + 0.5 - r) ** 2 + (right + 0.5 - c) ** 2;
          if (far < best) [best, found] = [far, [down, right]];
        }
        return found;
      };
      move(0, 0);
      point = (cell) => move(...cell.split(',').map((each) => place.get(Number(each))));
      image.addEventListener('click', (event) => {
        const box = image.getBoundingClientRect();
        move(...nearest((event.clientY - box.top) / box.height * width, (event.clientX - box.left) / box.width * width));
        show(key());
      });
      map.addEventListener('keydown', (event) => {
        const far = event.shiftKey ? 10 : 1;
        if (event.key === 'Enter' || event.key === ' ') show(key());
        else if (steps[event.key]) {
          move(at[0] + far * steps[event.key][0], at[1] + far * steps[event.key][1]);
          panel.replaceChildren(...tell(key()));
        } else return;
        event.preventDefault();
      });
    }
    for (const row of section.querySelectorAll('tr[data-pair]')) {
      const button = make('button', {type: 'button', class: 'show'}, 'show');
      button.setAttribute('aria-label', `show the images: ${row.cells[0].textContent} taken for ${row.cells[1].textContent}`);
      button.addEventListener('click', () => {
        show(row.dataset.pair);
        point(row.dataset.pair);
        panel.scrollIntoView({block: 'nearest'});
      });
      row.append(make('td', {}, button));
    }
    const head = section.querySelector('table.pairs thead tr');
    if (head) head.append(make('th', {scope: 'col'}, make('span', {class: 'unseen'}, 'images')));
  }

  // What goes on beyond its edge can be reached by keys in every browser.
  const reach = () => {
    for (const box of document.querySelectorAll('.scroll')) {
      if (box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight) {
        for (const name of ['tabindex', 'role', 'aria-label']) box.removeAttribute(name);
      } else if (!box.hasAttribute('tabindex')) {
        box.tabIndex = 0;
        box.setAttribute('role', 'region');
        box.setAttribute('aria-label', box.querySelector('caption').textContent);
      }
    }
  };
  reach();
  window.addEventListener('resize', reach);
  document.addEventListener('toggle', reach, true);

  // What is folded away is printed too, long lists aside.
  const opened = [];
  window.addEventListener('beforeprint', () => {
    for (const each of document.querySelectorAll('details:not([open])')) {
      if (each.querySelectorAll('tr').length <= 40) {
        each.open = true;
        opened.push(each);
      }
    }
  });
  window.addEventListener('afterprint', () => { while (opened.length) opened.pop().open = false; });
})();
