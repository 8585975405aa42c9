"use strict";
(function () {
  // Controls do nothing without this script, so they are hidden until it runs.
  document.querySelectorAll("[data-needs-script]").forEach(function (element) { element.hidden = false; });

  function every(selector, root) { return Array.from((root || document).querySelectorAll(selector)); }

  var controls = document.getElementById("picture-controls");
  if (controls) {
    var FIRST_CARDS = 9;
    var count = document.getElementById("picture-count");
    var gallery = document.getElementById("gallery");
    var showAll = document.getElementById("show-all");
    var byName = every(".picture");
    var byMistakes = byName.slice().sort(function (a, b) { return b.dataset.mistakes - a.dataset.mistakes; });

    var markMatches = function (card, chosen) {
      var items = every("[data-class]", card);
      items.forEach(function (item) {
        var score = item.dataset.score === undefined ? 1 : Number(item.dataset.score);
        var matches = (!chosen.name || item.dataset.class === chosen.name) && score >= chosen.score
          && (!chosen.mistakes || item.dataset.verdict === "false" || item.dataset.verdict === "missed");
        item.hidden = !matches;
      });
      return items.some(function (item) { return !item.hidden; }) || (!items.length && chosen.everything);
    };

    var update = function () {
      var score = controls.elements.score;
      var mistakes = controls.elements.mistakes;
      var chosen = {name: controls.elements.name.value, score: Number(score.value), mistakes: !!mistakes && mistakes.checked};
      chosen.everything = !chosen.name && !chosen.mistakes && chosen.score <= Number(score.min);
      document.getElementById("score-value").value = chosen.score.toFixed(2);
      var matching = orderedCards().filter(function (card) { return !(card.hidden = !markMatches(card, chosen)); });
      var hidden = showAll.dataset.pressed ? [] : matching.slice(FIRST_CARDS);
      hidden.forEach(function (card) { card.hidden = true; });
      showAll.hidden = !hidden.length;
      showAll.textContent = "Show all " + matching.length + " pictures";
      count.textContent = matching.length + " of " + byName.length + " pictures";
      var truth = controls.elements.truth;
      gallery.classList.toggle("with-truth", !!truth && truth.checked);
    };

    var orderedCards = function () {
      var order = controls.elements.order;
      var cards = order && order.value === "mistakes" ? byMistakes : byName;
      cards.forEach(function (card) { gallery.appendChild(card); });
      return cards;
    };

    showAll.addEventListener("click", function () {
      showAll.dataset.pressed = "yes";
      update();
      var next = byName[FIRST_CARDS];
      if (next) { next.querySelector(".enlarge").focus({preventScroll: true}); }
    });

    controls.addEventListener("input", update);
    controls.addEventListener("submit", function (event) { event.preventDefault(); });
    update();

    every(".enlarge").forEach(function (button) {
      button.addEventListener("click", function () {
        var wide = button.closest(".picture").classList.toggle("wide");
        button.setAttribute("aria-expanded", wide);
      });
    });
  }

  var kind = document.getElementById("finding-kind");
  if (kind) {
    kind.addEventListener("input", function () {
      every("[data-kind]").forEach(function (row) { row.hidden = !!kind.value && row.dataset.kind !== kind.value; });
    });
  }

  // On paper nothing can be unfolded, so everything is.
  window.addEventListener("beforeprint", function () {
    if (showAll) { showAll.click(); }
    every("details").forEach(function (details) { details.open = true; });
  });
}());
