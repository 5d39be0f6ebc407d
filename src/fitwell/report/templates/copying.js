(() => {
  "use strict";
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
  };

  for (const button of document.querySelectorAll("button.copy")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      await copied(button.parentElement.querySelector("code").textContent);
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = label; }, 1600);
    });
  }
})();
