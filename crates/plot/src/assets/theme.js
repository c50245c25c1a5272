try{const chosen=localStorage.getItem("thalweg-theme");if(chosen)document.documentElement.dataset.theme=chosen}catch{}
